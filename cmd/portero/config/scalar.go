package config

import (
	"encoding"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

var (
	durationType  = reflect.TypeFor[time.Duration]()
	addrType      = reflect.TypeFor[netip.Addr]()
	addrPortType  = reflect.TypeFor[netip.AddrPort]()
	prefixType    = reflect.TypeFor[netip.Prefix]()
	urlType       = reflect.TypeFor[url.URL]()
	unmarshalType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isScalar tells types that are one value in the file from sections.
func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return t == urlType || reflect.PointerTo(t).Implements(unmarshalType)
}

// allowed says what a type takes.
func allowed(t reflect.Type) string {
	switch t {
	case durationType:
		return "a duration with its unit, like 500ms, 20s, 5m or 24h"
	case addrType:
		return "an IP address, like 192.0.2.1 or 2001:db8::1"
	case addrPortType:
		return "an IP address and port, like 192.0.2.1:5060 or [2001:db8::1]:5060"
	case prefixType:
		return "an IP address or network, like 192.0.2.1 or 192.0.2.0/24"
	case urlType:
		return "a URL, like https://example.com/path"
	}
	if a, ok := reflect.Zero(t).Interface().(interface{ Allowed() string }); ok {
		return a.Allowed()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true, false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-t.Bits()))
	case reflect.Float32, reflect.Float64:
		return "a number, like 0.5"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list (- item, or [item, item]), each " + allowed(t.Elem())
	case reflect.Map:
		return "a map of names, each with " + allowed(t.Elem())
	case reflect.Struct:
		if isScalar(t) {
			return "a text"
		}
		return "the keys " + strings.Join(keys(fields(t)), ", ")
	case reflect.Pointer:
		return allowed(t.Elem())
	}
	return "a value"
}

// scalar decodes one value.
func (r *reader) scalar(p place, path string, v reflect.Value) {
	n := p.node
	if n.Kind != yaml.ScalarNode {
		r.wrong(p, path, v.Type())
		return
	}
	if isNull(n) {
		r.said[path] = true
		line, column := n.Line, n.Column
		if n.Value == "" && p.key != nil {
			line, column = p.key.Line, p.key.Column
		}
		r.fault(line, column, path, "there is no value; allowed: %s, or no key at all for the default %s", allowed(v.Type()), shown(v))
		return
	}
	if err := setScalar(v, n); err != nil {
		r.said[path] = true
		message := written(n)
		if err != errKind {
			message = err.Error()
		}
		r.fault(n.Line, n.Column, path, "%s; allowed: %s", message, allowed(v.Type()))
	}
}

// errKind says that the value is of another kind than the key's.
var errKind = fmt.Errorf("wrong kind of value")

// setScalar puts the text of n into v.
func setScalar(v reflect.Value, n *yaml.Node) error {
	switch t := v.Type(); {
	case t == durationType:
		d, err := time.ParseDuration(n.Value)
		if err != nil {
			if _, e := strconv.ParseFloat(n.Value, 64); e == nil {
				return fmt.Errorf("%s has no unit", n.Value)
			}
			return fmt.Errorf("%q is not a duration", shortened(n.Value))
		}
		v.SetInt(int64(d))
		return nil
	case t == prefixType:
		return setPrefix(v, n.Value)
	case t == urlType:
		u, err := url.Parse(n.Value)
		if err != nil || u.Scheme == "" {
			return fmt.Errorf("%q is not a URL", shortened(n.Value))
		}
		v.Set(reflect.ValueOf(*u))
		return nil
	case v.Addr().Type().Implements(unmarshalType):
		err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value))
		if err != nil && (t == addrType || t == addrPortType) {
			return fmt.Errorf("%q is not an address of that form", shortened(n.Value))
		}
		return err
	}
	return setPlain(v, n)
}

// setPrefix takes a network, or an address as the network of it alone.
func setPrefix(v reflect.Value, s string) error {
	if a, err := netip.ParseAddr(s); err == nil {
		v.Set(reflect.ValueOf(netip.PrefixFrom(a, a.BitLen())))
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is not an address or a network", shortened(s))
	}
	if p != p.Masked() {
		return fmt.Errorf("%s has bits set beyond its length; write %s", s, p.Masked())
	}
	v.Set(reflect.ValueOf(p))
	return nil
}

// setPlain puts a text, number or truth value into v.
func setPlain(v reflect.Value, n *yaml.Node) error {
	tag := n.ShortTag()
	switch v.Kind() {
	case reflect.String:
		// As written: 0049 and +49 stay the numbers somebody dials, and the
		// rule `when: true` is an expression.
		v.SetString(n.Value)
	case reflect.Bool:
		if tag != "!!bool" {
			return errKind
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if (tag != "!!int" && tag != "!!float") || err != nil || math.IsNaN(f) || math.IsInf(f, 0) || v.OverflowFloat(f) {
			return errKind
		}
		v.SetFloat(f)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if tag != "!!int" || err != nil || v.OverflowInt(i) {
			return errKind
		}
		v.SetInt(i)
	default:
		u, err := strconv.ParseUint(n.Value, 10, 64)
		if tag != "!!int" || err != nil || v.OverflowUint(u) {
			return errKind
		}
		v.SetUint(u)
	}
	return nil
}

// shown is a default as it would be written in the file.
func shown(v reflect.Value) string {
	if v.Kind() == reflect.String {
		return strconv.Quote(v.String())
	}
	return fmt.Sprint(v.Interface())
}
