"""The table of a job as a file, which grows by parts and survives whatever ends the job."""
