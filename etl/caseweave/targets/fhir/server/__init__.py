"""A FHIR server as a target: what it can do, what it lacks, bundles to it, and what it really holds afterwards."""
