#!/bin/sh
# A login and a database of its own for Airflow and for MLflow; PostgreSQL's image runs it on an empty volume.
set -eu
for name in airflow mlflow; do
  if [ "$name" = airflow ]; then password=$AIRFLOW_DB_PASSWORD; else password=$MLFLOW_DB_PASSWORD; fi
  psql --quiet --set ON_ERROR_STOP=1 --set name="$name" --set password="$password" \
    --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
done
