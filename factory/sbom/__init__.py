"""Bills of materials (SBOM) as CycloneDX JSON: one maker for those in wheels and beside them."""
