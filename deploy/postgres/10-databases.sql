-- A database and a login for each service; no login reaches another's. Development's password: publish no port of it.
REVOKE ALL ON DATABASE postgres FROM PUBLIC;

CREATE ROLE booking LOGIN PASSWORD 'secret';
CREATE DATABASE makegood_booking OWNER booking;
REVOKE ALL ON DATABASE makegood_booking FROM PUBLIC;

CREATE ROLE availability LOGIN PASSWORD 'secret';
CREATE DATABASE makegood_availability OWNER availability;
REVOKE ALL ON DATABASE makegood_availability FROM PUBLIC;

CREATE ROLE credits LOGIN PASSWORD 'secret';
CREATE DATABASE makegood_credits OWNER credits;
REVOKE ALL ON DATABASE makegood_credits FROM PUBLIC;

CREATE ROLE notifications LOGIN PASSWORD 'secret';
CREATE DATABASE makegood_notifications OWNER notifications;
REVOKE ALL ON DATABASE makegood_notifications FROM PUBLIC;

\connect makegood_availability
CREATE EXTENSION IF NOT EXISTS btree_gist;
