"""The one small package that our HTTP servers share: listening."""
