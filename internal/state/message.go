package state

import (
	"strconv"
	"strings"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// What instances tell each other:
//
//	1 <sender> <number> cooldown <milliseconds> <class> <key>
//	1 <sender> <number> restored 0 - <key>
//	1 <sender> <number> health <milliseconds> healthy|unhealthy <key>
//
// The same words but for the key are the value of the key in Redis, for those
// that did not hear the message.
type message struct {
	kind   messageKind
	sender string
	number uint64
	last   time.Duration // of a cooldown, or how long a result is believed
	class  retry.Class
	well   bool // the result of a health check
	key    string
}

type messageKind string

const (
	coolMessage     messageKind = "cooldown"
	restoredMessage messageKind = "restored"
	healthMessage   messageKind = "health"
)

const (
	messageVersion = "1"
	maxMessage     = 2 << 10
	maxSender      = 40
)

// value is the message without its key.
func (m *message) value() string {
	what := "-"
	switch m.kind {
	case coolMessage:
		what = m.class.String()
	case healthMessage:
		what = "unhealthy"
		if m.well {
			what = "healthy"
		}
	}
	return strings.Join([]string{
		messageVersion, m.sender, strconv.FormatUint(m.number, 10), string(m.kind),
		strconv.FormatInt(m.last.Milliseconds(), 10), what,
	}, " ")
}

func (m *message) String() string { return m.value() + " " + m.key }

// parseMessage reads what came over the channel.
func parseMessage(text string) (message, error) {
	if len(text) > maxMessage {
		return message{}, ErrForeign
	}
	value, key, ok := cutWords(text, 6)
	if !ok || key == "" {
		return message{}, ErrForeign
	}
	m, err := parseValue(value)
	m.key = key
	return m, err
}

// parseValue reads what stands in a key.
func parseValue(text string) (message, error) {
	if len(text) > maxMessage {
		return message{}, ErrForeign
	}
	words := strings.SplitN(text, " ", 7)
	if len(words) != 6 || words[0] != messageVersion || words[1] == "" || len(words[1]) > maxSender {
		return message{}, ErrForeign
	}
	number, err1 := strconv.ParseUint(words[2], 10, 64)
	last, err2 := strconv.ParseInt(words[4], 10, 64)
	if err1 != nil || err2 != nil || last < 0 || last > MaxCooldown.Milliseconds() {
		return message{}, ErrForeign
	}
	m := message{
		kind: messageKind(words[3]), sender: words[1], number: number,
		last: time.Duration(last) * time.Millisecond,
	}
	var ok bool
	switch m.kind {
	case coolMessage:
		m.class, ok = parseCoolClass(words[5])
		ok = ok && last > 0
	case healthMessage:
		m.well = words[5] == "healthy"
		ok = (m.well || words[5] == "unhealthy") && last > 0
	case restoredMessage:
		ok = words[5] == "-" && last == 0
	}
	if !ok {
		return message{}, ErrForeign
	}
	return m, nil
}

// parseCoolClass knows the classes that cool a deployment, and none for a
// cooldown by hand.
func parseCoolClass(name string) (retry.Class, bool) {
	if name == retry.None.String() {
		return retry.None, true
	}
	class, ok := retry.ParseClass(name)
	return class, ok && class.Blames()
}

// cutWords cuts a text behind its first n words.
func cutWords(text string, n int) (words, rest string, ok bool) {
	end := -1
	for range n {
		i := strings.IndexByte(text[end+1:], ' ')
		if i < 0 {
			return "", "", false
		}
		end += 1 + i
	}
	return text[:end], text[end+1:], true
}

// name tells messages apart.
func (m *message) name() string { return m.sender + " " + strconv.FormatUint(m.number, 10) }
