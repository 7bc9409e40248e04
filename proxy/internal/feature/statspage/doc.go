// Package statspage is the statistics page: the "stats" lines of proxies (chapter 4.2
// of the manual), which answer requests whose target begins with "stats uri".
//
// What is counted stands in the columns of package column, its machine-readable
// forms in package stats. This package owns the page: who may see it, what of it,
// its form for administrators, whose actions are commands of the Runtime socket, and
// how it looks. An answer is made object by object as the client takes it.
package statspage
