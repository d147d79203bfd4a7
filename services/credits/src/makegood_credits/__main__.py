"""`python -m makegood_credits serve|work|migrate|all`."""

from makegood_chassis.main import run

from makegood_credits.bootstrap import bootstrap
from makegood_credits.settings import CreditsSettings

if __name__ == "__main__":
    run(bootstrap, CreditsSettings)
