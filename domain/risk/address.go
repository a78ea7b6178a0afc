package risk

import (
	"regexp"
	"strings"
)

// addressWords maps words of an address to the abbreviations of the postal service (USPS Publication 28, appendices B
// and C), from the long form and other spellings.
var addressWords = map[string]string{
	"alley":      "aly",
	"avenue":     "ave",
	"av":         "ave",
	"aven":       "ave",
	"boulevard":  "blvd",
	"boul":       "blvd",
	"bvd":        "blvd",
	"circle":     "cir",
	"circ":       "cir",
	"court":      "ct",
	"crt":        "ct",
	"cove":       "cv",
	"crescent":   "cres",
	"drive":      "dr",
	"drv":        "dr",
	"expressway": "expy",
	"extension":  "ext",
	"freeway":    "fwy",
	"gardens":    "gdns",
	"grove":      "grv",
	"heights":    "hts",
	"highway":    "hwy",
	"hiway":      "hwy",
	"hill":       "hl",
	"junction":   "jct",
	"lane":       "ln",
	"loop":       "loop",
	"mount":      "mt",
	"parkway":    "pkwy",
	"pky":        "pkwy",
	"place":      "pl",
	"plaza":      "plz",
	"point":      "pt",
	"ridge":      "rdg",
	"road":       "rd",
	"route":      "rte",
	"square":     "sq",
	"station":    "sta",
	"street":     "st",
	"str":        "st",
	"strt":       "st",
	"terrace":    "ter",
	"terr":       "ter",
	"trail":      "trl",
	"turnpike":   "tpke",
	"valley":     "vly",
	"village":    "vlg",
	"way":        "way",
	"fort":       "ft",
	"saint":      "st",
	"north":      "n",
	"south":      "s",
	"east":       "e",
	"west":       "w",
	"northeast":  "ne",
	"northwest":  "nw",
	"southeast":  "se",
	"southwest":  "sw",
	"apartment":  "unit",
	"apt":        "unit",
	"suite":      "unit",
	"ste":        "unit",
	"no":         "unit",
	"number":     "unit",
	"room":       "unit",
	"rm":         "unit",
	"floor":      "fl",
	"flr":        "fl",
	"piso":       "fl",
	"calle":      "calle",
	"cll":        "calle",
	"building":   "bldg",
	"first":      "1st",
	"second":     "2nd",
	"third":      "3rd",
	"fourth":     "4th",
	"fifth":      "5th",
	"sixth":      "6th",
	"seventh":    "7th",
	"eighth":     "8th",
	"ninth":      "9th",
	"tenth":      "10th",
}

var regions = map[string]string{
	"alabama":              "al",
	"alaska":               "ak",
	"arizona":              "az",
	"arkansas":             "ar",
	"california":           "ca",
	"colorado":             "co",
	"connecticut":          "ct",
	"delaware":             "de",
	"district of columbia": "dc",
	"florida":              "fl",
	"georgia":              "ga",
	"hawaii":               "hi",
	"idaho":                "id",
	"illinois":             "il",
	"indiana":              "in",
	"iowa":                 "ia",
	"kansas":               "ks",
	"kentucky":             "ky",
	"louisiana":            "la",
	"maine":                "me",
	"maryland":             "md",
	"massachusetts":        "ma",
	"michigan":             "mi",
	"minnesota":            "mn",
	"mississippi":          "ms",
	"missouri":             "mo",
	"montana":              "mt",
	"nebraska":             "ne",
	"nevada":               "nv",
	"new hampshire":        "nh",
	"new jersey":           "nj",
	"new mexico":           "nm",
	"new york":             "ny",
	"north carolina":       "nc",
	"north dakota":         "nd",
	"ohio":                 "oh",
	"oklahoma":             "ok",
	"oregon":               "or",
	"pennsylvania":         "pa",
	"puerto rico":          "pr",
	"rhode island":         "ri",
	"south carolina":       "sc",
	"south dakota":         "sd",
	"tennessee":            "tn",
	"texas":                "tx",
	"utah":                 "ut",
	"vermont":              "vt",
	"virginia":             "va",
	"washington":           "wa",
	"west virginia":        "wv",
	"wisconsin":            "wi",
	"wyoming":              "wy",
}

// street is an address line in the form used for comparison.
type street struct {
	line string
	// unit and floor are within the building; "" if the line has none.
	unit, floor string
}

// sameUnit reports whether two lines may be the same unit: one that only one of them names makes no difference.
func (s street) sameUnit(t street) bool {
	if s.unit != "" && t.unit != "" {
		return s.unit == t.unit
	}
	return s.floor == "" || t.floor == "" || s.floor == t.floor
}

// urbanization begins the name of a quarter in Puerto Rico, which may be left out (USPS Publication 28, section 29).
var urbanization = wordSet("urb urbanizacion urbanization")

// ordinal matches the number of a floor: 3rd floor.
var ordinal = regexp.MustCompile(`^\d+(st|nd|rd|th)?$`)

func normalizeStreet(line1, line2 string) street {
	words := strings.Fields(Fold(strings.ReplaceAll(line1+" "+line2, "#", " unit ")))
	for i, w := range words {
		if short, ok := addressWords[w]; ok {
			words[i] = short
		}
	}
	var out []string
	s := street{}
	for i := 0; i < len(words); i++ {
		more := i+1 < len(words)
		switch w := words[i]; {
		case w == "unit":
			for i+1 < len(words) && words[i+1] == "unit" {
				i++
			}
			if i+1 < len(words) {
				i++
				s.unit += words[i]
			}
		case w == "fl" && len(out) > 1 && ordinal.MatchString(out[len(out)-1]) && (!more || !ordinal.MatchString(words[i+1])):
			s.floor = strings.TrimRight(out[len(out)-1], "stndrh")
			out = out[:len(out)-1]
		case w == "fl" && more:
			i++
			s.floor = strings.TrimRight(words[i], "stndrh")
		case urbanization[w]:
			for i+1 < len(words) && (words[i+1][0] < '0' || words[i+1][0] > '9') {
				i++
			}
		default:
			out = append(out, w)
		}
	}
	s.line = strings.Join(out, " ")
	return s
}

func region(text string) string {
	folded := Fold(text)
	if short, ok := regions[folded]; ok {
		return short
	}
	return folded
}

func normalizeCity(text string) string {
	words := strings.Fields(Fold(text))
	for i, w := range words {
		if short, ok := addressWords[w]; ok {
			words[i] = short
		}
	}
	return strings.Join(words, " ")
}

// normalizePostalCode returns a postal code in the form used for comparison: the first five digits of an American one.
func normalizePostalCode(text string) string {
	folded := strings.ReplaceAll(Fold(text), " ", "")
	if d := digits(folded); d == folded && len(d) == 9 {
		return d[:5]
	}
	return folded
}

// line returns what all spellings of an address have in common: the line without the unit.
func (p Place) line() string { return normalizeStreet(p.Address1, p.Address2).line }

// Same reports whether two addresses are the same, in any spelling: the same line, and the same postal code or the same
// town. A unit that only one of them has makes no difference.
func (p Place) Same(q Place) bool {
	a, b := normalizeStreet(p.Address1, p.Address2), normalizeStreet(q.Address1, q.Address2)
	if a.line != b.line || !a.sameUnit(b) {
		return false
	}
	codeP, codeQ := normalizePostalCode(p.PostalCode), normalizePostalCode(q.PostalCode)
	if codeP != "" && codeP == codeQ {
		return true
	}
	return normalizeCity(p.City) == normalizeCity(q.City) && (region(p.Region) == region(q.Region) || p.Region == "" || q.Region == "")
}

// ParsePlace parses a list address: address1, city, region postalCode. Address1 may contain commas.
func ParsePlace(text string) (Place, bool) {
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	if len(parts) < 3 || parts[0] == "" {
		return Place{}, false
	}
	last := strings.Fields(parts[len(parts)-1])
	code := len(last)
	for code > 0 && strings.ContainsAny(last[code-1], "0123456789") {
		code--
	}
	p := Place{
		Address1: strings.Join(parts[:len(parts)-2], " "), City: parts[len(parts)-2],
		Region: strings.Join(last[:code], " "), PostalCode: strings.Join(last[code:], " "),
	}
	return p, p.City != "" && (p.Region != "" || p.PostalCode != "")
}

// The common spellings of a post office box, in the folded line without punctuation. The letter O may be typed as a
// zero. The beginning of a street name ("Box Hill Road", "Post Office Road") does not match: a box is followed by a
// number or a single letter, or by nothing.
var boxes = []*regexp.Regexp{
	regexp.MustCompile(`\bp ?[o0]? ?b(ox|x)? ?(no |number )?\d+\b`),
	regexp.MustCompile(`\bp ?[o0] ?(box|bx|drawer|drw)( (no |number )?[a-z]?\d*[a-z]?)?$`),
	regexp.MustCompile(`\bp ?[o0] ?(box|bx|drawer|drw) (no |number )?[a-z]?\d`),
	regexp.MustCompile(`\bp ?[o0] (no |number )?\d+$`),
	regexp.MustCompile(`\b(post|postal|p) ?(office|off|offc|ofc)? ?(box|bx|drawer|bin) ?(no |number )?[a-z]?\d`),
	regexp.MustCompile(`\bpost(al)? (office )?(box|bx|drawer)( [a-z]?\d*)?$`),
	regexp.MustCompile(`^(box|bx|lock ?box|lockbox|drawer|(firm )?caller( service)?|bin) (no |number )?[a-z]?\d+[a-z]?$`),
	regexp.MustCompile(`\b(private mail ?box|pmb) ?(no |number )?[a-z]?\d`),
	regexp.MustCompile(`\b(gpo|cpo|lpo) ?(box|bx)\b`),
	regexp.MustCompile(`\b(apartado|casilla|caixa)( postal| de correos)? ?\d`),
	regexp.MustCompile(`\b(postfach|postbus|postboks|postilokero|boite postale|bp|case postale|skrytka pocztowa|pob) ?\d`),
	regexp.MustCompile(`^b p (no )?\d+`),
	regexp.MustCompile(`\bcaller service\b`),
	regexp.MustCompile(`\bgeneral delivery\b`),
}

// ruralBox matches delivery to a house on a rural route, whose box is not a post office box.
var ruralBox = regexp.MustCompile(`\b(rr|rural route|hc|hcr|highway contract|star route|route|rte) ?\d* (box|bx) ?\d`)

var signs = strings.NewReplacer("#", " ", "nº", "no ", "№", "no ")

// IsPOBox reports whether an address line is a post office box, or another place where mail is held for collection.
func IsPOBox(line string) bool {
	folded := Fold(signs.Replace(strings.ToLower(line)))
	if folded == "" || ruralBox.MatchString(folded) {
		return false
	}
	for _, box := range boxes {
		if box.MatchString(folded) {
			return true
		}
	}
	return false
}

// Town returns the town and the region in the forms used for comparison.
func (p Place) Town() (town, state string) { return normalizeCity(p.City), region(p.Region) }
