// Package compression is the keyword "compression" and the filters "comp-req",
// "comp-res" and "compression": bodies that go through compressed with gzip or
// deflate, because the client of a response takes that, or the configuration says
// that the servers do.
//
// The filter stands between the source and the sink of one direction (package
// stream). It compresses a bounded slice of what is at hand at a time, and lets the
// reactor do something else in between; each slice is flushed, so that nothing is
// held back. At level 1 nothing is kept between slices but a sum.
package compression
