module coordha.test/examples

go 1.24.0

require coordha.test/coordha v0.1.0

replace coordha.test/coordha => ../../bindings/go
