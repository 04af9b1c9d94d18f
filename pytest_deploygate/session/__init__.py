"""One pytest run of the gate: from options to the files of the out folder."""
