package main

import "coordha.test/coordha"

func configuration(store string) coordha.Config {
	return coordha.Config{Role: "rootcoord", Address: "127.0.0.1:53100", StoreURL: store}
}
