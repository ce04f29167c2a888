package wholepath

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What Caddy's website makes of the source: it reads the comments above the
// fields of a config, and finds modules only where they are registered in the
// plainest way. Mistakes would show there, long after a release.

// sourceFile is a parsed file of the module, tests left out.
type sourceFile struct {
	path string
	*ast.File
}

// moduleSources are the files of all packages, by directory.
func moduleSources(t testing.TB) (map[string][]sourceFile, *token.FileSet) {
	t.Helper()
	positions := token.NewFileSet()
	packages := make(map[string][]sourceFile)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || path != "." && strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(positions, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		packages[dir] = append(packages[dir], sourceFile{path, file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{".", "upstreams", "selection/strategies", "internal/mock"} {
		if len(packages[filepath.FromSlash(dir)]) == 0 {
			t.Fatalf("found no source in %s", dir)
		}
	}
	return packages, positions
}

// undocumented lists the exported fields with a JSON name that have no comment
// above them, in exported structs: those are the config, the others what is sent
// and received.
func undocumented(file *ast.File) (fields []*ast.Field, seen int) {
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || !spec.Name.IsExported() {
			return true
		}
		ast.Inspect(spec.Type, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok || field.Tag == nil || !slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
				return true
			}
			tag, err := strconv.Unquote(field.Tag.Value)
			if err != nil {
				return true
			}
			if name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ","); name == "" || name == "-" {
				return true
			}
			seen++
			if strings.TrimSpace(field.Doc.Text()) == "" {
				fields = append(fields, field)
			}
			return true
		})
		return false
	})
	return fields, seen
}

func TestConfigFieldsAreDocumented(t *testing.T) {
	packages, positions := moduleSources(t)
	total := 0
	for _, files := range packages {
		for _, file := range files {
			fields, seen := undocumented(file.File)
			total += seen
			for _, field := range fields {
				t.Errorf("%s: got no comment above the field %s, want what it does and its default", positions.Position(field.Pos()), field.Names[0])
			}
		}
	}
	if total < 40 {
		t.Errorf("got %d fields with a JSON name, want at least 40", total)
	}
}

// registeredType names the type of a RegisterModule argument, T{} or new(T).
func registeredType(arg ast.Expr) (string, bool) {
	switch e := arg.(type) {
	case *ast.CompositeLit:
		if name, ok := e.Type.(*ast.Ident); ok && len(e.Elts) == 0 {
			return name.Name, true
		}
	case *ast.CallExpr:
		if fun, ok := e.Fun.(*ast.Ident); ok && fun.Name == "new" && len(e.Args) == 1 {
			if name, ok := e.Args[0].(*ast.Ident); ok {
				return name.Name, true
			}
		}
	}
	return "", false
}

// moduleSource is what a package says of its Caddy modules.
type moduleSource struct {
	registered, modules []string // type names
	ids                 []string
	faults              []ast.Node
}

func modulesOf(files []sourceFile) (m moduleSource) {
	for _, file := range files {
		ast.Inspect(file.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if selector, ok := n.Fun.(*ast.SelectorExpr); ok && selector.Sel.Name == "RegisterModule" && len(n.Args) == 1 {
					if name, ok := registeredType(n.Args[0]); ok {
						m.registered = append(m.registered, name)
					} else {
						m.faults = append(m.faults, n)
					}
				}
			case *ast.FuncDecl:
				if n.Name.Name == "CaddyModule" && n.Recv != nil {
					receiver := n.Recv.List[0].Type
					if pointer, ok := receiver.(*ast.StarExpr); ok {
						receiver = pointer.X
					}
					m.modules = append(m.modules, receiver.(*ast.Ident).Name)
					id, ok := moduleID(n)
					if !ok {
						m.faults = append(m.faults, n)
					}
					m.ids = append(m.ids, id)
				}
			}
			return true
		})
	}
	return m
}

// moduleID finds the ID that a CaddyModule method returns; false when it is no
// string literal.
func moduleID(method *ast.FuncDecl) (id string, ok bool) {
	ast.Inspect(method.Body, func(n ast.Node) bool {
		pair, isPair := n.(*ast.KeyValueExpr)
		if !isPair {
			return true
		}
		if key, isIdent := pair.Key.(*ast.Ident); !isIdent || key.Name != "ID" {
			return true
		}
		if literal, isLiteral := pair.Value.(*ast.BasicLit); isLiteral && literal.Kind == token.STRING {
			id, ok = strings.Trim(literal.Value, "\"`"), true
		}
		return false
	})
	return id, ok
}

func TestModulesAreRegisteredPlainly(t *testing.T) {
	packages, positions := moduleSources(t)
	var ids []string
	for dir, files := range packages {
		m := modulesOf(files)
		ids = append(ids, m.ids...)
		for _, fault := range m.faults {
			t.Errorf("%s: want RegisterModule(T{}) or RegisterModule(new(T)), and an ID that is a string literal", positions.Position(fault.Pos()))
		}
		for _, name := range m.modules {
			if !slices.Contains(m.registered, name) {
				t.Errorf("%s: got a CaddyModule method of %s, want it registered", dir, name)
			}
		}
	}
	for _, want := range []string{"http.handlers.llm_router", "http.llm_router.strategies.weighted", "http.reverse_proxy.transport.llm_mock"} {
		if !slices.Contains(ids, want) {
			t.Errorf("got the modules %v, want %s among them", ids, want)
		}
	}
}

// The checks above find what they are made for.
func TestFaultsInTheSourceAreFound(t *testing.T) {
	const source = `package p
		func init() {
			caddy.RegisterModule(&A{})
			caddy.RegisterModule(B{X: 1})
			caddy.RegisterModule(C{})
			caddy.RegisterModule(new(D))
		}
		func (A) CaddyModule() caddy.ModuleInfo { return caddy.ModuleInfo{ID: id} }
		func (*E) CaddyModule() caddy.ModuleInfo { return caddy.ModuleInfo{ID: "e"} }
		type Config struct {
			// Documented.
			Good string ` + "`json:\"good\"`" + `
			Bad string ` + "`json:\"bad\"`" + ` // beside is not above
			Hidden string ` + "`json:\"-\"`" + `
			Inline struct {
				Worse int ` + "`json:\"worse\"`" + `
			}
		}
		type wire struct {
			Fine string ` + "`json:\"fine\"`" + `
		}`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	m := modulesOf([]sourceFile{{"p.go", file}})
	if len(m.faults) != 3 || !slices.Equal(m.registered, []string{"C", "D"}) || !slices.Equal(m.modules, []string{"A", "E"}) {
		t.Errorf("got %d faults, registered %v, modules %v; want 3, [C D], [A E]", len(m.faults), m.registered, m.modules)
	}
	fields, seen := undocumented(file)
	var names []string
	for _, field := range fields {
		names = append(names, field.Names[0].Name)
	}
	if !slices.Equal(names, []string{"Bad", "Worse"}) || seen != 3 {
		t.Errorf("got %v of %d fields, want [Bad Worse] of 3", names, seen)
	}
}

// Nothing in the repository depends on where somebody has it.
func TestNoFileNamesAPathOfAMachine(t *testing.T) {
	machine := regexp.MustCompile(`(?:^|[^\w.~-])/(?:work|root|home|Users)/[\w.]`)
	ignored := regexp.MustCompile(`^(?:caddy|bin)$|\.(?:test|out|prof)$`) // as .gitignore has it
	files := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (path == "bin" || slices.Contains([]string{".git", "node_modules", ".venv"}, entry.Name())):
			return fs.SkipDir
		case !entry.Type().IsRegular() || ignored.MatchString(path):
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for n, line := range bytes.Split(content, []byte("\n")) {
			if found := machine.Find(line); found != nil {
				t.Errorf("%s:%d: got the path %q, want none of a machine", path, n+1, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("got %d files, want the whole repository", files)
	}
	if home := "cd /" + "root/x"; !machine.MatchString(home) {
		t.Errorf("got no match for %q", home)
	}
}
