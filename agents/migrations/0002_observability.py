from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Measure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                ("labels", models.CharField(max_length=1500)),
                ("value", models.FloatField(default=0)),
            ],
        ),
        migrations.AddField(
            model_name="task",
            name="counted",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="task",
            name="request_id",
            field=models.CharField(blank=True, max_length=128, verbose_name="request"),
        ),
        migrations.AddField(
            model_name="task",
            name="traceparent",
            field=models.CharField(blank=True, max_length=55),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(condition=models.Q(("counted", False)), fields=["status"], name="task_uncounted"),
        ),
        migrations.AddConstraint(
            model_name="measure",
            constraint=models.UniqueConstraint(fields=("name", "labels"), name="one_measure_per_name_and_labels"),
        ),
    ]
