"""The networks under an approach: from scratch, or with weights that install as packages."""
