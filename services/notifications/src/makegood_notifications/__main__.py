"""`python -m makegood_notifications serve|work|migrate|all`."""

from makegood_chassis.main import run

from makegood_notifications.bootstrap import bootstrap
from makegood_notifications.settings import NotificationsSettings

if __name__ == "__main__":
    run(bootstrap, NotificationsSettings)
