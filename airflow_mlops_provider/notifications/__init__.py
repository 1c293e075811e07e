"""What people are told about a bad verdict, and telling them through notifiers of Airflow."""
