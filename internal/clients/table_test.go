package clients

import (
	"slices"
	"strings"
	"testing"
)

// page is the document that says what holds with which client. What its table
// says is what is tested.
const page = "../../docs/clients.md"

// table reads the page's table: for each client, the cases that hold.
func table(t *testing.T) (clients []string, holds map[string][]string) {
	t.Helper()
	holds = make(map[string][]string)
	for line := range strings.Lines(string(read(t, page))) {
		cells := cellsOf(line)
		switch {
		case clients == nil && len(cells) > 2 && cells[0] == "Case":
			clients = cells[1:]
		case clients == nil || len(cells) > 0 && strings.Trim(cells[0], "-: ") == "":
			// before the table, or the line below its head
		case len(cells) == 0:
			return clients, holds
		default:
			for i, cell := range cells[1:] {
				if strings.HasPrefix(cell, "yes") {
					holds[clients[i]] = append(holds[clients[i]], cells[0])
				}
			}
		}
	}
	t.Fatalf("%s has no table of cases that ends", page)
	return nil, nil
}

// cellsOf are the cells of a line of a table; none for another line.
func cellsOf(line string) []string {
	line, ok := strings.CutPrefix(strings.TrimSpace(line), "|")
	if !ok {
		return nil
	}
	cells := strings.Split(strings.TrimSuffix(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// cases are what is tried with one client, by the names of the table's rows.
type cases map[string]func(t *testing.T)

// run tries a client's cases, which have to be those that the table says hold.
func (c cases) run(t *testing.T, holds []string) {
	t.Helper()
	for _, name := range holds {
		t.Run(name, func(t *testing.T) {
			try, ok := c[name]
			if !ok {
				t.Fatalf("%s says that this holds, but it was not tried", page)
			}
			try(t)
		})
	}
	for name := range c {
		if !slices.Contains(holds, name) {
			t.Errorf("%s does not say that %q holds, which is tried", page, name)
		}
	}
}
