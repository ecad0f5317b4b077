"""Names that others give: the hook's attributes, spans of Ray and the hook, Ray Serve's, functions, programs."""
