//go:build !faultinject

package engine

// killPoint is a place at which a test build can be made to die.
func killPoint(string) {}

// tearPoint is one at which it dies in the middle of a write.
func tearPoint(string, func()) {}
