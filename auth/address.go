package auth

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// proxies lists the networks whose forwarding headers are trusted.
type proxies []netip.Prefix

// newProxies converts IPv4-mapped IPv6 networks to IPv4, because addresses are compared as IPv4.
func newProxies(networks []netip.Prefix) proxies {
	out := make(proxies, 0, len(networks))
	for _, n := range networks {
		if n.Addr().Is4In6() && n.Bits() >= 96 {
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		out = append(out, n.Masked())
	}
	return out
}

func (p proxies) contains(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// client returns the address of the client: the peer address of the connection or, if the peer is a trusted proxy, the
// nearest address in the forwarding headers that is not a trusted proxy. Addresses farther away may be forged by any
// client. It returns "" if the peer has no IP address.
//
// If both headers are present, X-Forwarded-For takes precedence: a proxy that writes it passes on a Forwarded header
// from the client unchanged. A proxy that writes Forwarded only must remove X-Forwarded-For.
func (p proxies) client(socket string, h http.Header) string {
	peer, ok := parseAddress(socket)
	if !ok {
		return ""
	}
	lines, hops := h.Values("X-Forwarded-For"), splitCommas
	if len(lines) == 0 {
		lines, hops = h.Values("Forwarded"), forwardedFor
	}
	for _, line := range slices.Backward(lines) {
		addresses, ok := hops(line)
		if !ok {
			break
		}
		for _, hop := range slices.Backward(addresses) {
			if !p.contains(peer) {
				return peer.String()
			}
			next, ok := parseAddress(hop)
			if !ok {
				// The client is unknown or obfuscated, so the proxy that reported it is the nearest known address.
				return peer.String()
			}
			peer = next
		}
	}
	return peer.String()
}

// parseAddress parses an IP address with an optional port. It drops the zone, which is meaningless on another machine.
func parseAddress(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		a = withPort.Addr()
	}
	return a.Unmap().WithZone(""), true
}

func splitCommas(line string) ([]string, bool) { return strings.Split(line, ","), true }

// forwardedFor returns the "for" parameter of each element of a Forwarded header (RFC 7239), or "" for an element
// without one. It rejects a malformed line, because an unterminated quote from the client could hide what the proxy
// appended.
func forwardedFor(line string) (hops []string, ok bool) {
	hop := ""
	for rest := line; ; {
		name, after, found := strings.Cut(rest, "=")
		if !found {
			return nil, false
		}
		name = strings.TrimSpace(name)
		if name == "" || strings.ContainsAny(name, " \t,;\"") {
			return nil, false
		}
		value, after, ok := forwardedValue(after)
		if !ok {
			return nil, false
		}
		if strings.EqualFold(name, "for") {
			hop = value
		}
		switch {
		case after == "":
			return append(hops, hop), true
		case after[0] == ',':
			hops, hop = append(hops, hop), ""
		}
		rest = after[1:]
	}
}

// forwardedValue parses a token or a quoted string. The remainder is empty or begins with a comma or a semicolon.
func forwardedValue(text string) (value, after string, ok bool) {
	if quoted, isQuoted := strings.CutPrefix(text, `"`); isQuoted {
		value, after, ok = strings.Cut(quoted, `"`)
		// An address, a host or a protocol never contains an escape.
		if !ok || strings.Contains(value, `\`) {
			return "", "", false
		}
	} else {
		end := strings.IndexAny(text, ",;")
		if end < 0 {
			end = len(text)
		}
		value, after = strings.TrimSpace(text[:end]), text[end:]
		if strings.ContainsAny(value, " \t\"") {
			return "", "", false
		}
	}
	after = strings.TrimLeft(after, " \t")
	return value, after, after == "" || after[0] == ',' || after[0] == ';'
}
