package usage

import (
	"strings"
	"testing"
)

const object = `{"prompt_tokens":8,"completion_tokens":2}`

var longText = `"` + strings.Repeat("x", 3*tailSize) + `"`

func TestUsageAtTheEndOfALongAnswer(t *testing.T) {
	for name, tt := range map[string]struct {
		end   string // of an object that holds a long text before
		found bool
	}{
		"last":                   {`,"usage":` + object + `}`, true},
		"pretty":                 {",\n  \"usage\" : " + object + "\n}\n", true},
		"before others":          {`,"usage":` + object + `,"a":[{"b":"}"}],"c":null,"d":{}}`, true},
		"Ollama":                 {`,"prompt_eval_count":8,"eval_count":2}`, true},
		"Cohere":                 {`,"meta":{"billed_units":{"input_tokens":8,"output_tokens":2}}}`, true},
		"none":                   {`,"a":1}`, false},
		"deeper down":            {`,"a":{"usage":` + object + `}}`, false},
		"in a list":              {`,"a":[{"usage":` + object + `}]}`, false},
		"in a text":              {`,"a":"\"usage\":{\"prompt_tokens\":8}"}`, false},
		"in a key":               {`,"a\"usage":` + object + `}`, false},
		"as a value":             {`,"a":"usage"}`, false},
		"before something large": {`,"usage":` + object + `,"a":` + longText + `}`, false},
		"never closed":           {`,"usage":` + object, false},
		"closed twice":           {`,"usage":` + object + `}}`, false},
		"closed as a list":       {`,"usage":` + object + `]`, false},
		"cut":                    {`,"usage":{"prompt_tokens":8,"comp`, false},
		"cut after the key":      {`,"usage"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			text := `{"data":` + longText + tt.end
			for _, size := range []int{1, 7, 1000, tailSize, 2*tailSize + 1, len(text)} {
				var a Account
				var tail Tail
				for rest := text; rest != ""; {
					n := min(size, len(rest))
					tail.Write([]byte(rest[:n])) //nolint:errcheck // it never fails
					rest = rest[n:]
				}
				if found := a.ReadTail(&tail); found != tt.found {
					t.Fatalf("in pieces of %d: got found %v, want %v", size, found, tt.found)
				}
				want := Usage{}
				if tt.found {
					want = Usage{Input: 8, Output: 2, State: Reported}
				}
				if got, invalid := a.Usage(); got != want || invalid {
					t.Errorf("in pieces of %d: got %+v, invalid %v; want %+v", size, got, invalid, want)
				}
			}
		})
	}
}

func TestUsageInALongAnswerThatIsHeld(t *testing.T) {
	for name, answer := range map[string]string{
		"in front":      `{"usage":` + object + `,"data":` + longText + longText + `}`,
		"in the middle": `{"data":` + longText + `,"usage":` + object + `,"more":` + longText + `}`,
		"at the end":    `{"data":` + longText + longText + `,"usage":` + object + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			var a Account
			a.ReadAnswer([]byte(answer))
			if got, _ := a.Usage(); got != (Usage{Input: 8, Output: 2, State: Reported}) {
				t.Errorf("got %+v, want what it says", got)
			}
		})
	}
}

// What is cut may go on with other digits.
func TestHeadsBelieveOnlyWhatIsWhole(t *testing.T) {
	whole := `{"usage":` + object + `,"prompt_eval_count":12,"data":[]}`
	for i := range whole {
		var a Account
		a.ReadHead([]byte(whole[:i]))
		if believed := i > strings.Index(whole, `"prompt_eval`); believed == (a == Account{}) {
			t.Errorf("%s: got %+v, want the usage once another member follows", whole[:i], a)
		}
		if a.evalPrompt.n == 1 {
			t.Errorf("%s: got half of a number", whole[:i])
		}
	}
	var a Account
	a.ReadHead([]byte(`{"data":` + longText + `,"usage":` + object + `}`))
	if a != (Account{}) {
		t.Errorf("got %+v from beyond the head, want nothing", a)
	}
}
