"""What `evolift reproduce` is made of: the report's rows, their stages as a graph, running it, and its tables and page."""
