package main

import (
	"time"

	"github.com/rankpool/rankpool/internal/findmpi"
)

// startFlags are what run, exec and serve have in common. It is launch.Options, field by field.
type startFlags struct {
	Package    *string `name:"package" short:"m" placeholder:"PATH" help:"Run the package with this import path; PATH@VERSION is fetched."`
	Statements *string `name:"statements" short:"c" placeholder:"TEXT" help:"Run these Go statements. See below for what they find around them."`

	Words []string `arg:"" optional:"" name:"words" help:"The program: a Go file, a directory or a zip file with one, a program that is built already, or - for a Go file from standard input; then its arguments."`

	MPI    findmpi.Choice `name:"mpi" enum:"auto,none,openmpi,mpich,mpicc" default:"auto" help:"auto builds with MPI under a launcher, none without; openmpi, mpich and mpicc (that of the mpicc on the path) build with it and say which MPI a program is linked with that imports mpicomm: no other is linked with any."`
	Tags   string         `placeholder:"LIST" help:"Further build tags, separated by commas."`
	Module string         `placeholder:"DIR" env:"RANKPOOL_RUN_MODULE" help:"The source of rankpool, for a program that is in no module."`
	Dir    string         `placeholder:"DIR" env:"RANKPOOL_RUN_DIR" help:"Where the program is built: a folder that all hosts of the job share and that no other user may change. Default: rankpool/run in the user's cache."`
	Wait   time.Duration  `default:"5m" env:"RANKPOOL_RUN_WAIT" help:"How long ranks wait for each other while one builds, and for a file system that does not answer."`
	Job    string         `placeholder:"NAME" env:"RANKPOOL_RUN_JOB" help:"What tells this job from others, where its launcher gives it no name that all ranks know."`
}
