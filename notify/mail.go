package notify

import (
	"bytes"
	"errors"
	"net/mail"
	"net/netip"
	"strings"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/gatehouse/gatehouse/domain"
)

// Composer makes mails and texts of messages. A message gives the same bytes whenever it is composed: date, id and
// boundary are the message's own, so that a mail handed over again is no second mail.
type Composer struct {
	from  *mail.Address
	host  string
	words *Words
}

// NewComposer makes a composer. from is the sender, an address with or without a name; host is the right side of
// each Message-ID, and the same on all instances.
func NewComposer(from, host string) (*Composer, error) {
	address, err := mail.ParseAddress(from)
	if err != nil {
		return nil, errors.New("the sender of mails is not an address")
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "IPv6-" + strings.ReplaceAll(ip.WithZone("").String(), ":", "-") // a domain literal has brackets that some programs cut at
	}
	if host == "" || strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r >= unicode.MaxASCII || strings.ContainsRune("<>@()[]:;,\"\\", r)
	}) {
		return nil, errors.New("the host of Message-IDs is not a host name")
	}
	words, err := ownWords()
	if err != nil {
		return nil, err
	}
	return &Composer{from: address, host: host, words: words}, nil
}

// composed is a mail as it travels.
type composed struct {
	from, to string // as in MAIL FROM and RCPT TO, without the angle brackets
	ascii    bool   // both are ASCII
	bytes    []byte
}

func (c *Composer) mail(m *domain.Message) (*composed, error) {
	if !plainID.MatchString(m.ID) {
		return nil, &Failure{Stage: "compose", Reason: "the id is no Message-ID", Permanent: true}
	}
	to, err := recipient(m.To)
	if err != nil {
		return nil, err
	}
	l, err := c.words.letter(m)
	if err != nil {
		return nil, err
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("part-"+m.ID))
	msg.FromMailAddress(c.from)
	msg.ToMailAddress(to)
	msg.Subject(l.Subject)
	msg.SetDateWithValue(m.CreatedAt.UTC())
	msg.SetMessageIDWithValue(m.ID + "@" + c.host)
	// RFC 3834: no out-of-office answer to a program.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	l.Text, l.HTML = strings.ReplaceAll(l.Text, "\n", "\r\n"), strings.ReplaceAll(l.HTML, "\n", "\r\n")
	encoding := gomail.WithPartEncoding(encodingOf(l.Text + "\n" + l.HTML))
	msg.SetBodyString(gomail.TypeTextPlain, l.Text, encoding)
	msg.AddAlternativeString(gomail.TypeTextHTML, l.HTML, encoding)
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, &Failure{Stage: "compose", Permanent: true}
	}
	out := &composed{from: bare(c.from), to: bare(to), bytes: b.Bytes()}
	out.ascii = !strings.ContainsFunc(out.from+out.to, func(r rune) bool { return r > unicode.MaxASCII })
	return out, nil
}

// encodingOf leaves text as it is where SMTP allows that, so that a link can be copied out of a file of the
// development outbox: ASCII in lines of less than 998 characters (RFC 5322, 2.1.1).
func encodingOf(text string) gomail.Encoding {
	ascii := !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
	for line := range strings.Lines(text) {
		ascii = ascii && len(line) < 990
	}
	if ascii {
		return gomail.NoEncoding // it writes 8bit, which includes ASCII; what it calls 7bit it quotes
	}
	return gomail.EncodingQP
}

// recipient reads an address that the rules let in. One that SMTP cannot carry never becomes one that it can.
func recipient(to string) (*mail.Address, error) {
	address := &mail.Address{Address: to}
	// Address.String quotes the local part where it must be quoted; reading that again proves the rest.
	again, err := mail.ParseAddress(address.String())
	if err != nil || again.Address != to || strings.Count(to, "@") != 1 || strings.ContainsFunc(to, unprintable) {
		return nil, &Failure{Stage: "address", Reason: "not usable", Permanent: true}
	}
	return address, nil
}

func unprintable(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }

func bare(a *mail.Address) string {
	return strings.Trim((&mail.Address{Address: a.Address}).String(), "<>")
}
