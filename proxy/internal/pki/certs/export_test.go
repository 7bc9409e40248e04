package certs

// ReadSystem is what [System] reads, for variables of the environment.
var ReadSystem = readSystem
