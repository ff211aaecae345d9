-- beside the FHIR server's database, which the image makes: one for the OMOP CDM
CREATE DATABASE omop;
