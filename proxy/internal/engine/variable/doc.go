// Package variable is what variables are made of (manual, 2.8): their names, their
// values, and the sets and the table that hold them for as long as their scope
// lives.
//
// It knows neither rules nor expressions: package stream's Scope says which set is
// meant where, package vars has the words of the configuration. What a value's type
// means is package sample's affair.
package variable
