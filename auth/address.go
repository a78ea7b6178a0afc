package auth

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// proxies are the networks whose forwarding headers are believed.
type proxies []netip.Prefix

// trusted writes IPv4 networks in their IPv6 form as IPv4, since addresses are compared as IPv4.
func trusted(networks []netip.Prefix) proxies {
	out := make(proxies, 0, len(networks))
	for _, n := range networks {
		if n.Addr().Is4In6() && n.Bits() >= 96 {
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		out = append(out, n.Masked())
	}
	return out
}

func (p proxies) trust(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// client gives the address of the client: that of the socket, or, where a trusted proxy sits there, the one nearest to
// us in the forwarding headers that is no trusted proxy. What stands farther away in them anybody can have written.
// It is empty where the socket has no IP address.
//
// Where both headers came, X-Forwarded-For counts: proxies that write it pass a Forwarded of the client's own through.
// A proxy that writes Forwarded only must drop X-Forwarded-For.
func (p proxies) client(socket string, h http.Header) string {
	peer, ok := address(socket)
	if !ok {
		return ""
	}
	lines, hops := h.Values("X-Forwarded-For"), commas
	if len(lines) == 0 {
		lines, hops = h.Values("Forwarded"), forwardedFor
	}
	for _, line := range slices.Backward(lines) {
		listed, ok := hops(line)
		if !ok {
			break
		}
		for _, hop := range slices.Backward(listed) {
			if !p.trust(peer) {
				return peer.String()
			}
			next, ok := address(hop)
			if !ok {
				// An unknown or hidden client: the proxy that says so is the nearest thing to it.
				return peer.String()
			}
			peer = next
		}
	}
	return peer.String()
}

// address reads an IP address with or without a port; a zone means nothing here and is dropped.
func address(text string) (netip.Addr, bool) {
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

func commas(line string) ([]string, bool) { return strings.Split(line, ","), true }

// forwardedFor gives the parameter for of each element of a Forwarded header (RFC 7239), empty where an element has
// none. A line that is not well formed says nothing: a quote that the client left open could swallow what the proxy added.
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

// forwardedValue reads a token or a quoted text; what comes after it starts with a comma or a semicolon, or is empty.
func forwardedValue(text string) (value, after string, ok bool) {
	if quoted, is := strings.CutPrefix(text, `"`); is {
		value, after, ok = strings.Cut(quoted, `"`)
		// An escape has no place in an address, a host or a protocol.
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
