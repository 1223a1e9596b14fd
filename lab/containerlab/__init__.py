"""The same city for those who run containers: a containerlab topology with FRR routers and everything around them."""
