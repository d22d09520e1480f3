"""Pictures and reports for people (extra ``viewer``)."""
