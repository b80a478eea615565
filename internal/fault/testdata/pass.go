// Command pass goes past a point three times.
package main

import (
	"fmt"

	"github.com/minoots/minoots/internal/fault"
)

func main() {
	for i := range 3 {
		fault.Point("elsewhere")
		fault.Point("here")
		fmt.Println(i + 1)
	}
}
