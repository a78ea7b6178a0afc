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

// Composer renders messages as mails and text messages. It renders the same message to the same bytes every time: date,
// id and boundary come from the message, so that sending a mail again does not create a second mail.
type Composer struct {
	from      *mail.Address
	host      string
	templates *Templates
}

// NewComposer returns a composer. from is the sender, an address with or without a name; host is the right-hand side of
// each Message-ID and must be the same on all instances.
func NewComposer(from, host string) (*Composer, error) {
	address, err := mail.ParseAddress(from)
	if err != nil {
		return nil, errors.New("the sender of mails is not an address")
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "IPv6-" + strings.ReplaceAll(ip.WithZone("").String(), ":", "-") // some programs mishandle the brackets of a domain literal
	}
	if host == "" || strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r >= unicode.MaxASCII || strings.ContainsRune("<>@()[]:;,\"\\", r)
	}) {
		return nil, errors.New("the host of Message-IDs is not a host name")
	}
	templates, err := embeddedTemplates()
	if err != nil {
		return nil, err
	}
	return &Composer{from: address, host: host, templates: templates}, nil
}

// email is a mail ready to be sent.
type email struct {
	from, to string // as in MAIL FROM and RCPT TO, without the angle brackets
	ascii    bool   // both addresses are ASCII
	bytes    []byte
}

func (c *Composer) mail(m *domain.Message) (*email, error) {
	if !plainID.MatchString(m.ID) {
		return nil, &Failure{Stage: "compose", Reason: "the id is not valid in a Message-ID", Permanent: true}
	}
	to, err := recipient(m.To)
	if err != nil {
		return nil, err
	}
	content, err := c.templates.mail(m)
	if err != nil {
		return nil, err
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("part-"+m.ID))
	msg.FromMailAddress(c.from)
	msg.ToMailAddress(to)
	msg.Subject(content.Subject)
	msg.SetDateWithValue(m.CreatedAt.UTC())
	msg.SetMessageIDWithValue(m.ID + "@" + c.host)
	// RFC 3834: suppress automatic replies.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	content.Text, content.HTML = strings.ReplaceAll(content.Text, "\n", "\r\n"), strings.ReplaceAll(content.HTML, "\n", "\r\n")
	encoding := gomail.WithPartEncoding(encodingOf(content.Text + "\n" + content.HTML))
	msg.SetBodyString(gomail.TypeTextPlain, content.Text, encoding)
	msg.AddAlternativeString(gomail.TypeTextHTML, content.HTML, encoding)
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, &Failure{Stage: "compose", Permanent: true}
	}
	out := &email{from: addrSpec(c.from), to: addrSpec(to), bytes: b.Bytes()}
	out.ascii = !strings.ContainsFunc(out.from+out.to, func(r rune) bool { return r > unicode.MaxASCII })
	return out, nil
}

// encodingOf avoids a transfer encoding if SMTP allows it, so that a link can be copied out of a file of the
// development outbox: for ASCII in lines of less than 998 characters (RFC 5322, section 2.1.1).
func encodingOf(text string) gomail.Encoding {
	ascii := !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
	for line := range strings.Lines(text) {
		ascii = ascii && len(line) < 990
	}
	if ascii {
		return gomail.NoEncoding // labelled 8bit, which includes ASCII; go-mail quotes what it labels 7bit
	}
	return gomail.EncodingQP
}

// recipient parses an address that the rules accepted. An address that SMTP cannot carry is refused, never altered.
func recipient(to string) (*mail.Address, error) {
	address := &mail.Address{Address: to}
	// Address.String quotes the local part if necessary; parsing the result validates the rest.
	parsed, err := mail.ParseAddress(address.String())
	if err != nil || parsed.Address != to || strings.Count(to, "@") != 1 || strings.ContainsFunc(to, unprintable) {
		return nil, &Failure{Stage: "address", Reason: "not valid", Permanent: true}
	}
	return address, nil
}

func unprintable(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }

func addrSpec(a *mail.Address) string {
	return strings.Trim((&mail.Address{Address: a.Address}).String(), "<>")
}
