"""What other tools write, as the files of a recording: one source then answers every want, whoever wrote the file."""
