"""A WAF where nginx has no ModSecurity: the library from the wheel `libmodsecurity`, rules of our own, and a front."""
