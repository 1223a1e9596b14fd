"""What the tests of the IP domain controller share."""
