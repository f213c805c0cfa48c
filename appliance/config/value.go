package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind says how one key's value is read from TOML into a Config and written
// back. set returns a *fault, or nil.
type kind struct {
	typ  string // what it is called
	form string // how it is written, where the type does not say it all
	set  func(*Config, any) *fault
	get  func(*Config) string // as a TOML value
}

// fault is what is wrong with a value and what to write instead.
type fault struct{ text, remedy string }

func faultf(remedy, format string, args ...any) *fault {
	return &fault{text: fmt.Sprintf(format, args...), remedy: remedy}
}

// text is a string; check returns it in canonical form.
func text(field func(*Config) *string, check func(string) (string, *fault)) kind {
	return kind{
		typ: "text",
		set: func(c *Config, v any) *fault {
			s, ok := v.(string)
			if !ok {
				return faultf(quoteHint(v), "%s where text is wanted", describe(v))
			}
			s, f := check(s)
			if f == nil {
				*field(c) = s
			}
			return f
		},
		get: func(c *Config) string { return quoteTOML(*field(c)) },
	}
}

// oneOf is a string out of a few.
func oneOf(field func(*Config) *string, allowed ...string) kind {
	k := text(field, func(s string) (string, *fault) {
		for _, a := range allowed {
			if s == a {
				return s, nil
			}
		}
		if near := nearest(strings.ToLower(s), allowed); near != "" {
			return "", faultf(fmt.Sprintf("did you mean %q?", near), "unknown value %q", s)
		}
		return "", faultf("write one of "+strings.Join(allowed, ", "), "unknown value %q", s)
	})
	k.form = "one of " + strings.Join(allowed, ", ")
	return k
}

// count is a whole number of at least one.
func count(field func(*Config) *int) kind { return countFrom(1, field) }

// countOrNone is a whole number, or 0 for no limit.
func countOrNone(field func(*Config) *int) kind { return countFrom(0, field) }

func countFrom(least int64, field func(*Config) *int) kind {
	return kind{
		typ: "whole number",
		set: func(c *Config, v any) *fault {
			n, ok := v.(int64)
			if !ok {
				return faultf("write a number without quotes", "%s where a whole number is wanted", describe(v))
			}
			if n < least || n > 1<<31-1 {
				return faultf(fmt.Sprintf("write a whole number from %d to 2147483647", least), "%d is out of range", n)
			}
			*field(c) = int(n)
			return nil
		},
		get: func(c *Config) string { return strconv.Itoa(*field(c)) },
	}
}

// truth is true or false.
func truth(field func(*Config) *bool) kind {
	return kind{
		typ: "true or false",
		set: func(c *Config, v any) *fault {
			b, ok := v.(bool)
			if !ok {
				return faultf("write true or false, without quotes", "%s where true or false is wanted", describe(v))
			}
			*field(c) = b
			return nil
		},
		get: func(c *Config) string { return strconv.FormatBool(*field(c)) },
	}
}

// octets is a size of at least one octet.
func octets(field func(*Config) *Octets) kind { return octetsFrom(1, field) }

// octetsOrNone is a size, or 0.
func octetsOrNone(field func(*Config) *Octets) kind { return octetsFrom(0, field) }

func octetsFrom(least Octets, field func(*Config) *Octets) kind {
	return kind{
		typ:  "size",
		form: `a number of octets, or text with a unit: "512KiB", "25MiB", "10MB", "1GiB"`,
		set: func(c *Config, v any) *fault {
			var o Octets
			switch v := v.(type) {
			case int64:
				o = Octets(v)
			case string:
				var err error
				if o, err = ParseOctets(v); err != nil {
					return &fault{text: err.Error()}
				}
			default:
				return faultf(`write it like "25MiB"`, "%s where a size is wanted", describe(v))
			}
			if o < least {
				return faultf(`write a size such as "50MiB"`, "%d is too small", o)
			}
			*field(c) = o
			return nil
		},
		get: func(c *Config) string { return quoteTOML(field(c).String()) },
	}
}

// span is a duration of more than nothing. A number is refused: nobody can
// tell whether seconds or minutes were meant.
func span(field func(*Config) *Duration) kind {
	return kind{
		typ:  "duration",
		form: `text with a unit: "500ms", "30s", "5m", "36h", "5d", "2w"`,
		set: func(c *Config, v any) *fault {
			if n, ok := v.(int64); ok {
				return faultf(fmt.Sprintf(`write it like "%ds" or "%dm"`, n, n), "%d has no unit", n)
			}
			s, ok := v.(string)
			if !ok {
				return faultf(`write it like "30s"`, "%s where a duration is wanted", describe(v))
			}
			d, err := ParseDuration(s)
			if err != nil {
				return &fault{text: err.Error()}
			}
			if d <= 0 {
				return faultf(`write a duration such as "30s"`, "%q is too short", s)
			}
			*field(c) = d
			return nil
		},
		get: func(c *Config) string { return quoteTOML(field(c).String()) },
	}
}

// list is a list of strings, or one string standing for a list of one.
func list(field func(*Config) *[]string, check func(string) (string, *fault)) kind {
	return kind{
		typ:  "list of texts",
		form: `a list, as in ["a", "b"]; one text stands for a list of one`,
		set: func(c *Config, v any) *fault {
			items, f := stringsOf(v)
			if f != nil {
				return f
			}
			out := make([]string, 0, len(items))
			for _, item := range items {
				item, f := check(item)
				if f != nil {
					return f
				}
				out = append(out, item)
			}
			*field(c) = out
			return nil
		},
		get: func(c *Config) string {
			items := make([]string, len(*field(c)))
			for i, item := range *field(c) {
				items[i] = quoteTOML(item)
			}
			return "[" + strings.Join(items, ", ") + "]"
		},
	}
}

// percents is a list of whole numbers from 1 to 100, or one of them.
func percents(field func(*Config) *[]int) kind {
	return kind{
		typ:  "list of whole numbers",
		form: "a list of per cent, as in [80, 95], or a single one",
		set: func(c *Config, v any) *fault {
			items, ok := v.([]any)
			if n, single := v.(int64); single {
				items, ok = []any{n}, true
			}
			if !ok {
				return faultf("write a list such as [80, 95]", "%s where a list of per cent is wanted", describe(v))
			}
			out := make([]int, 0, len(items))
			for _, item := range items {
				n, ok := item.(int64)
				if !ok {
					return faultf("write a list such as [80, 95]", "%s in a list of per cent", describe(item))
				}
				if n < 1 || n > 100 {
					return faultf("write a whole number from 1 to 100", "%d per cent is out of range", n)
				}
				out = append(out, int(n))
			}
			slices.Sort(out)
			*field(c) = slices.Compact(out)
			return nil
		},
		get: func(c *Config) string {
			items := make([]string, len(*field(c)))
			for i, n := range *field(c) {
				items[i] = strconv.Itoa(n)
			}
			return "[" + strings.Join(items, ", ") + "]"
		},
	}
}

func stringsOf(v any) ([]string, *fault) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, faultf(quoteHint(item), "%s in a list of texts", describe(item))
			}
			items[i] = s
		}
		return items, nil
	}
	return nil, faultf(`write a list such as ["a", "b"]`, "%s where a list of texts is wanted", describe(v))
}

// describe names the type of a TOML value in words.
func describe(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case int64:
		return "a whole number"
	case float64:
		return "a decimal number"
	case bool:
		return "true or false"
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	}
	return "a list"
}

// quoteHint is the remedy for a value that wants quotes.
func quoteHint(v any) string {
	switch v.(type) {
	case int64, float64, bool:
		return fmt.Sprintf(`write it in quotes: "%v"`, v)
	}
	return `write it in quotes: "…"`
}

// quoteTOML is s as a basic string (TOML v1.0.0, "String").
func quoteTOML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
