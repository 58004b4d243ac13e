// Command peer-opa is Open Policy Agent as the comparison runs it.
//
// `peer-opa embedded` answers POST /check from a prepared query over a store that keeps its values as the evaluator
// wants them. Any other arguments are those of the `opa` command itself, such as `peer-opa run --server`.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/open-policy-agent/opa/cmd"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "embedded" {
		if err := embedded(os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		return
	}
	if err := cmd.Command(nil, "OPA").Execute(); err != nil {
		os.Exit(1)
	}
}

func embedded(args []string) error {
	flags := flag.NewFlagSet("embedded", flag.ExitOnError)
	addr := flags.String("addr", "127.0.0.1:0", "where to listen")
	policy := flags.String("policy", "", "file of the policy")
	data := flags.String("data", "", "file of the data")
	if err := flags.Parse(args); err != nil {
		return err
	}
	module, err := os.ReadFile(*policy)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(*data)
	if err != nil {
		return err
	}
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		return err
	}
	store := inmem.NewFromObjectWithOpts(object, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))
	ctx := context.Background()
	query, err := rego.New(
		rego.Query("data.peers.outcomes"),
		rego.Module("peers.rego", string(module)),
		rego.Store(store),
		rego.GenerateJSON(func(term *ast.Term, _ *rego.EvalContext) (any, error) { return term.Value, nil }),
	).PrepareForEval(ctx)
	if err != nil {
		return err
	}
	http.HandleFunc("/check", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		input, err := ast.ValueFromReader(bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		results, err := query.Eval(r.Context(), rego.EvalParsedInput(input))
		if err != nil || len(results) != 1 {
			http.Error(w, fmt.Sprint("no single result: ", err), http.StatusInternalServerError)
			return
		}
		// Arrays of whole numbers print as JSON does.
		value := results[0].Expressions[0].Value.(ast.Value)
		_, _ = io.WriteString(w, value.String())
	})
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, nil)
}
