#!/usr/bin/env bash
# Creates the four services' databases with their owners and logins. Run it as a superuser (PGHOST, PGUSER, PGPASSWORD):
#
#   BOOKING_PASSWORD=… BOOKING_OWNER_PASSWORD=… …  bash deploy/postgres/databases.sh
#
# You can run it again at any time. It creates what is missing, sets the passwords that are given (<LOGIN>_PASSWORD), and takes
# over databases of earlier releases, whose tables belonged to the service's own login. `migrate` grants the rights.
set -euo pipefail

run() { # a database, then further arguments for psql; SQL comes from the standard input
    local database=$1
    shift
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname "$database" "$@"
}

# Keep statements with passwords out of the server's log.
export PGOPTIONS="${PGOPTIONS:-} -c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic"

echo "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC" | run postgres

for service in booking availability credits notifications; do
    for login in "$service" "${service}_owner" "${service}_pruner" "${service}_auditor"; do
        variable="${login^^}_PASSWORD"
        run postgres --set login="$login" <<SQL
\getenv password $variable
SELECT format('CREATE ROLE %I', :'login') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'login') \gexec
ALTER ROLE :"login" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
\if :{?password}
ALTER ROLE :"login" PASSWORD :'password';
\endif
SQL
    done
    run postgres --set service="$service" --set database="makegood_$service" <<'SQL'
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'service' || '_owner')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
    run "makegood_$service" --set service="$service" <<'SQL'
SELECT format('REASSIGN OWNED BY %I TO %I', :'service', :'service' || '_owner') FROM pg_database
WHERE datname = current_database() AND pg_get_userbyid(datdba) = :'service' \gexec
SQL
done

# A database owner may not be allowed to create an extension.
echo "SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS btree_gist" | run makegood_availability
