"""`python -m recon` is `recon`."""

from recon.cli.main import main

main()
