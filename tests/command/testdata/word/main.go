// Command word says a word, which the linker sets, and who runs it.
package main

import (
	"fmt"
	"os"
)

var word = "good"

func main() { fmt.Println(word, "code runs as", os.Getuid()) }
