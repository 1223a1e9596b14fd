"""What a NOC sees: rules and dashboards as files beside this, and a Prometheus with Alertmanager over the demo city."""
