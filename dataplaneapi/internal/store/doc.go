// Package store keeps the configuration file: its text, its version, its backups, and the open transactions.
//
// It owns every write to the disk: a file is replaced as a whole (written beside, synced, renamed, folder synced), so that
// a crash leaves the old text or the new one. It notices when somebody else changed the file.
//
// It never looks into the meaning of the text beyond the version line, and never talks to a proxy.
package store
