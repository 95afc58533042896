"""Bills of materials (SBOM) of wheels, as CycloneDX JSON."""
