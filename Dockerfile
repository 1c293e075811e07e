# One image for Airflow's parts and for the MLflow server, so that both sides of the tracking API are of one version.
# constraints.txt is the set that the tests ran with, on the Python of the tag.
FROM apache/airflow:slim-3.3.2-python3.11

COPY --chown=airflow:0 pyproject.toml constraints.txt README.md LICENSE /opt/provider/
COPY --chown=airflow:0 airflow_mlops_provider /opt/provider/airflow_mlops_provider
RUN pip install --no-cache-dir --constraint /opt/provider/constraints.txt \
      "/opt/provider[amazon]" \
      apache-airflow \
      apache-airflow-providers-celery \
      apache-airflow-providers-postgres \
      celery \
      psycopg2-binary \
  && pip check \
  && mkdir -p /opt/airflow/auth

COPY --chown=airflow:0 dags /opt/airflow/dags
