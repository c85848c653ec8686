// A coordinator that stands by until it is chosen: minimal <store URL> <host:port>
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"coordha.test/coordha"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("minimal <store URL> <host:port>")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	session, err := coordha.Start(ctx, coordha.Config{
		Role: "rootcoord", StoreURL: os.Args[1], Address: os.Args[2], ActiveStandby: true,
	})
	if err != nil {
		log.Fatal(err) // errors.Is(err, coordha.ErrConfigValue), and so on
	}
	err = session.Run(func(term *coordha.Term) error { // once a term
		// Load what the active one needs, under term.Context(). From Ready on, session.IsActive() is true.
		if err := term.Ready(); err != nil {
			return err
		}
		fmt.Println("active, with fencing token", term.Token())
		<-term.Context().Done() // asked to end, or lost: context.Cause says which
		if term.Held() {
			fmt.Println("leaving: finish what runs")
		} else {
			fmt.Println("leaving: the role is lost")
		}
		return nil // nothing of this term runs any more
	})
	if err != nil {
		log.Fatal(err)
	}
}
