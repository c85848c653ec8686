module coordha.test/coordha

go 1.24.0
