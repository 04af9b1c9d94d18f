"""All output: signoff.html, verdicts.json, junit.xml and the terminal summary, each a pure function of a Record."""
