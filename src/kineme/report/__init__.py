"""Results to pages and pictures: report, plots, filmstrips, overlay."""
