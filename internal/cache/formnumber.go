package cache

import "strconv"

// maxExponent bounds the exponents that are read. No server calculates with more.
const maxExponent = 9999

// number writes the number that comes next by its value: its digits without zeros
// at either end, and by which power of ten they are multiplied. 1, 1.0 and 10e-1
// are the same, and so are 0 and -0.
func (f *form) number() error {
	negative := f.skip('-')
	begin := len(f.out)
	f.out = append(f.out, 'n')
	if negative {
		f.out = append(f.out, '-')
	}
	from := len(f.out)
	whole := f.at
	if f.digits() == 0 || f.data[whole] == '0' && f.at-whole > 1 {
		return errOdd
	}
	exponent := 0
	if f.skip('.') {
		n := f.digits()
		if n == 0 {
			return errOdd
		}
		exponent = -n
	}
	stated, err := f.exponent()
	if err != nil {
		return err
	}
	exponent += stated
	zeros := 0
	for from+zeros < len(f.out) && f.out[from+zeros] == '0' {
		zeros++
	}
	f.out = append(f.out[:from], f.out[from+zeros:]...)
	for len(f.out) > from && f.out[len(f.out)-1] == '0' {
		f.out = f.out[:len(f.out)-1]
		exponent++
	}
	if len(f.out) == from {
		f.out, exponent = append(f.out[:begin], "n0"...), 0
	}
	f.out = append(f.out, 'e')
	f.out = append(strconv.AppendInt(f.out, int64(exponent), 10), ';')
	return nil
}

// skip goes over a byte, if it is the next.
func (f *form) skip(b byte) bool {
	if f.at < len(f.data) && f.data[f.at] == b {
		f.at++
		return true
	}
	return false
}

// digits writes the digits that come next, and says how many they are.
func (f *form) digits() int {
	from := f.at
	for f.at < len(f.data) && '0' <= f.data[f.at] && f.data[f.at] <= '9' {
		f.at++
	}
	f.out = append(f.out, f.data[from:f.at]...)
	return f.at - from
}

// exponent reads what comes after the digits of a number; 0 where nothing does.
func (f *form) exponent() (int, error) {
	if !f.skip('e') && !f.skip('E') {
		return 0, nil
	}
	negative := f.skip('-')
	if !negative {
		f.skip('+')
	}
	mark := len(f.out)
	f.digits()
	n, err := strconv.Atoi(string(f.out[mark:]))
	f.out = f.out[:mark]
	if err != nil || n > maxExponent {
		return 0, errOdd
	}
	if negative {
		n = -n
	}
	return n, nil
}
