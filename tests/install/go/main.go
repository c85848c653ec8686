// A user's program: becomes active, writes once, leaves. Its argument is the URL of a store.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"coordha.test/coordha"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	session, err := coordha.Start(ctx, configuration(os.Args[1]))
	if err != nil {
		log.Fatal(err)
	}
	err = session.Run(func(term *coordha.Term) error {
		if err := term.Ready(); err != nil {
			return err
		}
		_, err := term.Txn().Put("greeting", "hello").Commit(ctx)
		fmt.Println("coordha", coordha.Version(), "from Go: active, written:", err == nil)
		cancel()
		<-term.Context().Done()
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}
